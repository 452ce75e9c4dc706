#!/usr/bin/env bash
# Builds the programs of the test control plane into .cache/bin/, each only when its sources, its go.sum or Go changed.
# A cold build takes about 13 minutes on two cores. Usage: e2e/cluster/build.sh [program ...]
# Named, it builds other Go programs as well: kubectl, and what e2e/backends/install.sh asks for.
set -euo pipefail
cd "$(dirname "$0")"

bin=$(realpath -m ../../.cache/bin)
programs=(etcd kube-apiserver kube-controller-manager)
[ $# -eq 0 ] || programs=("$@")
mkdir -p "$bin"

# Prints the directory of a program's module and its package therein.
source_of() {
    case $1 in
    etcd) echo etcd . ;;
    kube-apiserver | kube-controller-manager | kubectl) echo kube "./cmd/$1" ;;
    vault-auth-methods) echo ../backends/vault-auth-methods . ;;
    *) echo "unknown program: $1" >&2 && return 1 ;;
    esac
}

# Prints a digest of all that the built program depends on.
stamp_of() {
    local module=$1 package=$2
    { go version && cat build.sh "$module/go.mod" "$module/go.sum" "$module/$package"/*.go; } | sha256sum
}

# Reads the packages that `go build -v` names and says every 15 s how far it is; passes on whatever is not a package.
show_progress() {
    local name=$1 packages=0 said=0 line
    while true; do
        if IFS= read -r -t 5 line; then
            case $line in
            "go: downloading "*) ;;
            *[[:space:]]* | "#"*) echo "$line" ;;
            *) packages=$((packages + 1)) ;;
            esac
        elif [ $? -le 128 ]; then # the end of the input, not the time limit
            break
        fi
        if [ $((SECONDS - said)) -ge 15 ]; then
            said=$SECONDS
            echo "$name: building, $packages packages, $SECONDS s"
        fi
    done
}

build() {
    local name=$1 module=$2 package=$3 stamp version
    stamp=$(stamp_of "$module" "$package")
    if [ -x "$bin/$name" ] && [ "$stamp" = "$(cat "$bin/.$name.stamp" 2>/dev/null)" ]; then
        return
    fi
    SECONDS=0
    local ldflags="-s -w"
    if [ "$module" = kube ]; then
        version=$(cd kube && go list -m -f '{{.Version}}' k8s.io/kubernetes)
        IFS=. read -r major minor _ <<<"${version#v}"
        for value in "gitVersion=$version" "gitMajor=$major" "gitMinor=$minor"; do
            ldflags+=" -X k8s.io/component-base/version.$value"
        done
    fi
    # Static, so that neither a C compiler nor its library is needed.
    (cd "$module" && CGO_ENABLED=0 go build -v -trimpath -buildvcs=false -ldflags "$ldflags" -o "$bin/$name.new" "$package" 2>&1) |
        show_progress "$name"
    mv "$bin/$name.new" "$bin/$name"
    echo "$stamp" >"$bin/.$name.stamp"
    echo "$name: built in $SECONDS s"
}

for name in "${programs[@]}"; do
    source=$(source_of "$name")
    read -r module package <<<"$source"
    build "$name" "$module" "$package"
done

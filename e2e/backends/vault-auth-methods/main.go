// Command vault-auth-methods is a plugin with auth methods that OpenBao comes without; its argument says which of them.
//
// They are Vault's own, from when Vault was free software. OpenBao's plugins descend from the same code.
package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	gcp "github.com/hashicorp/vault-plugin-auth-gcp/plugin"
	aws "github.com/hashicorp/vault/builtin/credential/aws"
	"github.com/hashicorp/vault/builtin/credential/ldap"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin"
)

var methods = map[string]logical.Factory{
	"aws":  aws.Factory,
	"gcp":  gcp.Factory,
	"ldap": ldap.Factory,
}

func main() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(arguments []string) error {
	if len(arguments) != 1 || methods[arguments[0]] == nil {
		return errors.New("usage: vault-auth-methods aws | gcp | ldap")
	}
	go endWithParent()
	return plugin.ServeMultiplex(&plugin.ServeOpts{BackendFactoryFunc: methods[arguments[0]]})
}

// OpenBao ends its plugins when it stops, but not when it is killed, which is what tests do.
func endWithParent() {
	for parent := os.Getppid(); os.Getppid() == parent; {
		time.Sleep(time.Second)
	}
	os.Exit(0)
}

// Argo CD's own controllers as one program, for the tests and the demo of what a truce with it needs.
//
// What it is follows from the name that it is called by, as in Argo CD's own image. Its command line is Argo CD's.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	applicationcontroller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	applicationsetcontroller "github.com/argoproj/argo-cd/v3/cmd/argocd-applicationset-controller/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/spf13/cobra"
)

var components = map[string]func() *cobra.Command{
	"argocd-application-controller":    applicationcontroller.NewCommand,
	"argocd-applicationset-controller": applicationsetcontroller.NewCommand,
	"argocd-repo-server":               reposerver.NewCommand,
}

func main() {
	newCommand, known := components[filepath.Base(os.Args[0])]
	if !known {
		fmt.Fprintln(os.Stderr, "call it by the name of one of Argo CD's components")
		os.Exit(2)
	}
	if err := newCommand().Execute(); err != nil {
		os.Exit(1)
	}
}

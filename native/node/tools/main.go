// Command tools is kubectl (with kustomize) and helm in one program, for machines that have neither.
//
// It acts by the name it is called by. Apart from the node, because every start of a program initialises all that is
// linked into it: helm inside the node program takes three times as long to start.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	helm "helm.sh/helm/v4/pkg/cmd"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	switch filepath.Base(os.Args[0]) {
	case "kubectl":
		kubectlutil.CheckErr(cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()))
	case "helm":
		os.Exit(runHelm())
	default:
		fmt.Fprintln(os.Stderr, "tools: call me kubectl or helm")
		os.Exit(2)
	}
}

// runHelm returns helm's exit status. The command prints what its execution fails with by itself.
func runHelm() int {
	command, err := helm.NewRootCmd(os.Stdout, os.Args[1:], helm.SetupLogging)
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		return 1
	}
	if err = command.Execute(); err == nil {
		return 0
	}
	var coded helm.CommandError
	if errors.As(err, &coded) {
		return coded.ExitCode
	}
	return 1
}

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
		exitOn(runHelm())
	default:
		fmt.Fprintln(os.Stderr, "tools: call me kubectl or helm")
		os.Exit(2)
	}
}

func runHelm() error {
	command, err := helm.NewRootCmd(os.Stdout, os.Args[1:], helm.SetupLogging)
	if err != nil {
		return err
	}
	return command.Execute()
}

func exitOn(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "Error:", err)
	var coded helm.CommandError
	if errors.As(err, &coded) {
		os.Exit(coded.ExitCode)
	}
	os.Exit(1)
}

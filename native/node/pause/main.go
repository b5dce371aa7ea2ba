// Command pause is the first process of every pod's sandbox: it holds the pod's namespaces and collects
// orphans where containers share a process namespace. It is compiled here so that the sandbox image comes from no
// registry.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCHLD)
	for range signals {
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 && err != syscall.EINTR {
				break
			}
		}
	}
}

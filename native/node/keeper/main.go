// Command keeper holds one built-in cluster together.
//
// It is process 1 of a process namespace of its own, and with it a mount, network and cgroup namespace: every
// process, mount and link of the cluster lives inside them. When the keeper ends, however it ends, the kernel ends
// and removes them all, so there is nothing to leave behind.
//
//	keeper start FOLDER   start the keeper of the cluster in FOLDER, print its process id, end
//	keeper hold FOLDER    the keeper itself (started by the above)
//	keeper pki FOLDER     write keys and certificates by the specification on standard input
//
// SIGHUP makes the keeper read FOLDER/plan.json again and start the components that do not run.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Plan is what the keeper does, written by the command line to FOLDER/plan.json.
type Plan struct {
	Hostname string `json:"hostname"`
	// Cgroups are the cluster's own groups and the places where the cluster sees them as the roots.
	Cgroups []Bind `json:"cgroups"`
	// Binds put the cluster's own folders in the places of the machine's; sources are paths of the machine.
	Binds []Bind `json:"binds"`
	// Sysctls of the network namespace, by path below /proc/sys.
	Sysctls map[string]string `json:"sysctls"`
	// Shown are sysctls of the whole machine that only seem to have a value, to the cluster alone.
	Shown      map[string]string `json:"shown"`
	Components []Component       `json:"components"`
}

// Bind is a bind mount.
type Bind struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// Component is one program of the cluster.
type Component struct {
	Name string   `json:"name"`
	Argv []string `json:"argv"`
	Env  []string `json:"env"`
	// After is an address in the cluster's network (host:port) that must accept connections first.
	After string `json:"after"`
	// Listen is an address in the machine's network; the program gets the listening socket as descriptor 3.
	Listen string `json:"listen"`
}

func init() {
	// the main thread stands for the process in /proc, also for its namespaces: no goroutine that changes its
	// network namespace (onHost) may ever run on it
	runtime.LockOSThread()
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: keeper start|hold|pki FOLDER")
		os.Exit(2)
	}
	modes := map[string]func(string) error{"start": start, "hold": hold, "pki": writePKI}
	mode, ok := modes[os.Args[1]]
	if !ok {
		fmt.Fprintln(os.Stderr, "keeper: no such mode:", os.Args[1])
		os.Exit(2)
	}
	if err := mode(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func readPlan(folder string) (*Plan, error) {
	text, err := os.ReadFile(filepath.Join(folder, "plan.json"))
	if err != nil {
		return nil, err
	}
	var plan Plan
	if err := json.Unmarshal(text, &plan); err != nil {
		return nil, fmt.Errorf("plan.json: %w", err)
	}
	return &plan, nil
}

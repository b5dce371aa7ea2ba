package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// State is what FOLDER/components.json tells of a component.
type State struct {
	Name string `json:"name"`
	// State is waiting (for its condition), running or ended.
	State string `json:"state"`
	// PID in the cluster's process namespace, 0 while waiting.
	PID int `json:"pid"`
	// Since is when the state began, in seconds since the epoch.
	Since float64 `json:"since"`
	// Message tells how it ended: "exit status 1", "signal: killed".
	Message string `json:"message,omitempty"`
}

type keeper struct {
	components map[string]Component
	states     map[string]*State
	order      []string
	listeners  map[string]*os.File
	// due are components whose condition holds
	due chan string
}

func newKeeper() *keeper {
	return &keeper{
		components: map[string]Component{},
		states:     map[string]*State{},
		listeners:  map[string]*os.File{},
		due:        make(chan string),
	}
}

// run starts what the plan tells and reaps, for ever.
func (k *keeper) run(plan *Plan) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGCHLD, unix.SIGHUP)
	k.reconcile(plan)
	for {
		select {
		case name := <-k.due:
			k.launch(name)
		case number := <-signals:
			if number == unix.SIGCHLD {
				k.reap()
				continue
			}
			plan, err := readPlan(stateFolder)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				continue
			}
			k.reconcile(plan)
		}
	}
}

// reconcile starts every component that neither runs nor waits.
func (k *keeper) reconcile(plan *Plan) {
	k.order = k.order[:0]
	for _, component := range plan.Components {
		k.order = append(k.order, component.Name)
		k.components[component.Name] = component
		if state := k.states[component.Name]; state != nil && state.State != "ended" {
			continue
		}
		k.set(component.Name, "waiting", 0, "")
		go func() {
			awaitAddress(component.After)
			k.due <- component.Name
		}()
	}
	k.report()
}

func awaitAddress(address string) {
	for address != "" {
		connection, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			connection.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (k *keeper) launch(name string) {
	component := k.components[name]
	pid, err := k.spawn(component)
	if err != nil {
		k.set(name, "ended", 0, err.Error())
	} else {
		k.set(name, "running", pid, "")
	}
	k.report()
}

func (k *keeper) spawn(component Component) (int, error) {
	log, err := openLog(stateFolder, component.Name)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer nothing.Close()
	files := []uintptr{nothing.Fd(), log.Fd(), log.Fd()}
	if component.Listen != "" {
		listener, err := k.listener(component.Listen)
		if err != nil {
			return 0, err
		}
		files = append(files, listener.Fd())
	}
	return syscall.ForkExec(component.Argv[0], component.Argv, &syscall.ProcAttr{
		Dir:   "/",
		Env:   component.Env,
		Files: files,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// reap collects ended components and the orphans of all others.
func (k *keeper) reap() {
	changed := false
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			break
		}
		for name, state := range k.states {
			if state.State == "running" && state.PID == pid {
				k.set(name, "ended", pid, ending(status))
				changed = true
			}
		}
	}
	if changed {
		k.report()
	}
}

func ending(status unix.WaitStatus) string {
	if status.Signaled() {
		return "signal " + unix.SignalName(status.Signal())
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}

func (k *keeper) set(name, state string, pid int, message string) {
	since := float64(time.Now().UnixMilli()) / 1000
	k.states[name] = &State{Name: name, State: state, PID: pid, Since: since, Message: message}
}

// report writes FOLDER/components.json, whole or not at all.
func (k *keeper) report() {
	states := make([]*State, 0, len(k.order))
	for _, name := range k.order {
		states = append(states, k.states[name])
	}
	text, err := json.Marshal(states)
	if err == nil {
		temporary := filepath.Join(stateFolder, ".components.json")
		if err = os.WriteFile(temporary, text, 0o644); err == nil {
			err = os.Rename(temporary, filepath.Join(stateFolder, "components.json"))
		}
	}
	if err != nil {
		// a full disk must not end the cluster
		fmt.Fprintln(os.Stderr, err)
	}
}

func openLog(folder, name string) (*os.File, error) {
	path := filepath.Join(folder, "log", name+".log")
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	hostNetworkFD = 3
	goFD          = 4
	readyFD       = 5
)

// start runs the keeper in namespaces of its own and waits until it is ready.
func start(folder string) error {
	plan, err := readPlan(folder)
	if err != nil {
		return err
	}
	// the cgroup namespace's root is the group in which its first process is born
	for _, group := range plan.Cgroups {
		if err := join(group.Source); err != nil {
			return err
		}
	}
	network, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return err
	}
	log, err := openLog(folder, "keeper")
	if err != nil {
		return err
	}
	// the keeper ends by itself when this process ends before it says go
	goReader, goWriter, err := os.Pipe()
	if err != nil {
		return err
	}
	ready, readyWriter, err := os.Pipe()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	command := exec.Command(self, "hold", folder)
	command.Stdout, command.Stderr = log, log
	command.ExtraFiles = []*os.File{network, goReader, readyWriter}
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP,
		Setsid:     true,
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("cannot make namespaces: %w", err)
	}
	goReader.Close()
	readyWriter.Close()
	for _, group := range plan.Cgroups {
		if err := joinLeaf(group.Source); err != nil {
			return err
		}
	}
	if _, err := goWriter.WriteString("go"); err != nil {
		return err
	}
	answer, err := io.ReadAll(ready)
	if err != nil {
		return err
	}
	if string(answer) != "ready" {
		return fmt.Errorf("the keeper ended: %s", answer)
	}
	fmt.Println(command.Process.Pid)
	return nil
}

// hold sets up the namespaces and keeps the components; it returns only on failure to set up.
func hold(folder string) error {
	ready := os.NewFile(readyFD, "ready")
	unix.CloseOnExec(hostNetworkFD)
	unix.CloseOnExec(goFD)
	unix.CloseOnExec(readyFD)
	if n, err := unix.Read(goFD, make([]byte, 2)); n != 2 {
		return fmt.Errorf("not told to go: %v", err)
	}
	plan, err := readPlan(folder)
	if err == nil {
		err = isolate(plan)
	}
	if err != nil {
		fmt.Fprint(ready, err)
		return err
	}
	keeper := newKeeper()
	keeper.relayResolvers()
	fmt.Fprint(ready, "ready")
	ready.Close()
	return keeper.run(plan)
}

// stateFolder and runFolder are where the cluster sees its own folder and its short-lived files, whatever their
// places on the machine: short, since a Unix socket's path holds 107 characters.
const (
	runFolder   = "/run/innerloop"
	stateFolder = runFolder + "/state"
)

func isolate(plan *Plan) error {
	for _, group := range plan.Cgroups {
		if err := joinLeaf(group.Source); err != nil {
			return err
		}
		delegate(group.Source)
	}
	// what the machine mounts and unmounts is seen here, never the other way
	if err := mount("", "/", "", unix.MS_REC|unix.MS_SLAVE); err != nil {
		return err
	}
	if err := mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC); err != nil {
		return err
	}
	binds := append(resolverBinds(), plan.Binds...)
	binds = append(binds, plan.Cgroups...)
	sources, err := openAll(binds)
	if err != nil {
		return err
	}
	// /run of its own: sockets of containerd and its shims, the pods' network namespaces, locks
	if err := mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV); err != nil {
		return err
	}
	for i, bind := range binds {
		if err := bindTo(sources[i], bind.Target); err != nil {
			return err
		}
		unix.Close(sources[i])
	}
	if err := configureKernel(plan); err != nil {
		return err
	}
	// between here and the pods, as a kubelet expects it; not before the bind mounts, which would be peers of the root
	// and get every mount of every pod too
	return mount("", "/", "", unix.MS_REC|unix.MS_SHARED)
}

// resolverBinds keeps the folder of a resolv.conf that is a link into /run (systemd-resolved, NetworkManager).
func resolverBinds() []Bind {
	path, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil || !strings.HasPrefix(path, "/run/") || filepath.Dir(path) == "/run" {
		return nil
	}
	return []Bind{{Source: filepath.Dir(path), Target: filepath.Dir(path)}}
}

func openAll(binds []Bind) ([]int, error) {
	sources := make([]int, 0, len(binds))
	for _, bind := range binds {
		fd, err := unix.Open(bind.Source, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: bind.Source, Err: err}
		}
		sources = append(sources, fd)
	}
	return sources, nil
}

func bindTo(source int, target string) error {
	if strings.HasPrefix(target, "/run/") {
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
	}
	return mount(fmt.Sprintf("/proc/self/fd/%d", source), target, "", unix.MS_BIND)
}

func join(group string) error {
	return os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0)
}

// joinLeaf moves the process to a leaf of the cluster's cgroup: cgroup v2 lets no group have both processes and
// children with controllers (kernel documentation, cgroup-v2, "no internal process constraint").
func joinLeaf(group string) error {
	leaf := filepath.Join(group, "node")
	if err := os.MkdirAll(leaf, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		// cgroup v1: a new cpuset is empty and takes no process; in v2 empty means inherited
		value, err := os.ReadFile(filepath.Join(group, name))
		if err != nil || len(strings.TrimSpace(string(value))) == 0 {
			continue
		}
		if err := os.WriteFile(filepath.Join(leaf, name), value, 0); err != nil {
			return err
		}
	}
	return join(leaf)
}

// delegate lets the groups of the pods have all controllers of the cluster's group (cgroup v2 only).
func delegate(group string) {
	controllers, err := os.ReadFile(filepath.Join(group, "cgroup.controllers"))
	if err != nil {
		return
	}
	for _, controller := range strings.Fields(string(controllers)) {
		// one by one, since one that can't be had must not cost the others
		if err := os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte("+"+controller), 0); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

func configureKernel(plan *Plan) error {
	if err := unix.Sethostname([]byte(plan.Hostname)); err != nil {
		return err
	}
	if err := raiseFileLimit(); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	syscall.Umask(0o022)
	if err := loopbackUp(); err != nil {
		return err
	}
	for name, value := range plan.Sysctls {
		if err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0); err != nil {
			return err
		}
	}
	for name, value := range plan.Shown {
		if err := show(name, value); err != nil {
			return err
		}
	}
	return nil
}

// raiseFileLimit is for containers, which inherit it: a shell's 1024 is too little for databases.
func raiseFileLimit() error {
	limit := syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		return nil
	}
	// only CAP_SYS_RESOURCE goes beyond the hard limit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// show covers a sysctl with a file, so that a program that insists on a value finds it and leaves the machine's alone.
func show(name, value string) error {
	target := filepath.Join("/proc/sys", name)
	if _, err := os.Stat(target); os.IsNotExist(err) {
		return nil
	}
	file := filepath.Join(runFolder, "sysctl", strings.ReplaceAll(name, "/", "."))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
		return err
	}
	return mount(file, target, "", unix.MS_BIND)
}

func loopbackUp() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request)
}

func mount(source, target, kind string, flags uintptr) error {
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		return &os.PathError{Op: "mount", Path: target, Err: err}
	}
	return nil
}

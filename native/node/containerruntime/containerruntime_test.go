package containerruntime

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// reading is a runtime that refuses its first calls, as containerd does while it reads what it kept.
type reading struct {
	cri.UnimplementedRuntimeServiceServer
	refusals int32
	calls    atomic.Int32
}

func (r *reading) Version(context.Context, *cri.VersionRequest) (*cri.VersionResponse, error) {
	if r.calls.Add(1) <= r.refusals {
		return nil, errors.New("server is not initialized yet")
	}
	return &cri.VersionResponse{}, nil
}

func TestAwaitGoesOnWhileTheRuntimeRefuses(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	runtime := &reading{refusals: 3}
	waited := make(chan struct{})
	go func() {
		// before there is a socket
		Await("unix://" + socket)
		close(waited)
	}()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	cri.RegisterRuntimeServiceServer(server, runtime)
	go server.Serve(listener)
	defer server.Stop()
	select {
	case <-waited:
	case <-time.After(30 * time.Second):
		t.Fatal("Await does not end")
	}
	if calls := runtime.calls.Load(); calls != 4 {
		t.Errorf("%d calls reached the runtime, 4 expected", calls)
	}
}

// Package containerruntime talks to the container runtime before the kubelet does.
package containerruntime

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Await waits until the container runtime takes calls, since the kubelet asks once and ends.
//
// That its socket takes connections is not enough: while containerd reads what it kept of pods it answers every call
// with "server is not initialized yet" (containerd 1.6, pkg/cri/server/instrumented_service.go).
func Await(endpoint string) {
	told := ""
	for {
		err := askVersion(endpoint)
		if err == nil {
			return
		}
		if message := err.Error(); message != told {
			told = message
			fmt.Fprintln(os.Stderr, "waiting for the container runtime:", message)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func askVersion(endpoint string) error {
	// a connection for each call: a kept one would try again less and less often
	connection, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = cri.NewRuntimeServiceClient(connection).Version(ctx, &cri.VersionRequest{})
	return err
}

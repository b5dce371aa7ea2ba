package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/sirupsen/logrus"
)

// inheritedFD is the listening socket that the keeper made in the machine's network.
const inheritedFD = 3

const registrySettings = `
version: 0.1
storage:
  filesystem: {rootdirectory: %q}
  delete: {enabled: true}
http: {secret: innerloop}
`

// serveRegistry serves the images below a folder, by plain HTTP, in the cluster's network and at the machine's
// loopback address: docker takes a registry without TLS only there.
func serveRegistry() error {
	// a set of its own: the other components fill the global one
	flags := flag.NewFlagSet("registry", flag.ExitOnError)
	root := flags.String("root", "", "folder of the images")
	address := flags.String("listen", "", "address in the cluster's network")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}

	// one process only, so the secret that signs uploads under way need not be shared
	settings, err := configuration.Parse(strings.NewReader(fmt.Sprintf(registrySettings, *root)))
	if err != nil {
		return err
	}
	logrus.SetLevel(logrus.WarnLevel)
	app := handlers.NewApp(context.Background(), settings)

	inside, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	inherited, err := net.FileListener(os.NewFile(inheritedFD, "listener"))
	if err != nil {
		return fmt.Errorf("inherited listener: %w", err)
	}
	ended := make(chan error)
	for _, listener := range []net.Listener{inside, inherited} {
		go func() { ended <- http.Serve(listener, app) }()
	}
	return <-ended
}

package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const resolverTimeout = 5 * time.Second

// onHost calls f in the machine's network namespace.
func onHost(f func() error) error {
	result := make(chan error)
	go func() {
		// never unlocked: the thread, now in another namespace, ends with the goroutine
		runtime.LockOSThread()
		if err := unix.Setns(hostNetworkFD, unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("enter the machine's network namespace: %w", err)
			return
		}
		result <- f()
	}()
	return <-result
}

// listener returns the socket that listens on an address of the machine, made on the first call: the cluster has no
// other way to offer something at the machine's loopback address.
func (k *keeper) listener(address string) (*os.File, error) {
	if file := k.listeners[address]; file != nil {
		return file, nil
	}
	var file *os.File
	err := onHost(func() error {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		file, err = listener.(*net.TCPListener).File()
		return err
	})
	if err == nil {
		k.listeners[address] = file
	}
	return file, err
}

// relayResolvers makes the machine's resolvers on loopback addresses (systemd-resolved, dnsmasq) answer at the same
// addresses in the cluster's network, so that resolv.conf means the same here and there.
func (k *keeper) relayResolvers() {
	for _, address := range loopbackResolvers() {
		packets, err := net.ListenPacket("udp", address)
		if err != nil {
			fmt.Fprintln(os.Stderr, "relay of resolver:", err)
			continue
		}
		go relayPackets(packets, address)
		connections, err := net.Listen("tcp", address)
		if err != nil {
			fmt.Fprintln(os.Stderr, "relay of resolver:", err)
			continue
		}
		go relayConnections(connections, address)
	}
}

func loopbackResolvers() []string {
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return nil
	}
	var addresses []string
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if address, err := netip.ParseAddr(words[1]); err == nil && address.IsLoopback() {
			addresses = append(addresses, net.JoinHostPort(words[1], "53"))
		}
	}
	return addresses
}

func relayPackets(packets net.PacketConn, address string) {
	for {
		query := make([]byte, 65535)
		n, client, err := packets.ReadFrom(query)
		if err != nil {
			fmt.Fprintln(os.Stderr, "relay of resolver:", err)
			return
		}
		go func() {
			if answer := ask(address, query[:n]); answer != nil {
				packets.WriteTo(answer, client)
			}
		}()
	}
}

// ask returns nil when there is no answer: the client asks again, as for any lost packet.
func ask(address string, query []byte) []byte {
	connection, err := dialHost("udp", address)
	if err != nil {
		return nil
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(resolverTimeout))
	if _, err := connection.Write(query); err != nil {
		return nil
	}
	answer := make([]byte, 65535)
	n, err := connection.Read(answer)
	if err != nil {
		return nil
	}
	return answer[:n]
}

func relayConnections(connections net.Listener, address string) {
	for {
		client, err := connections.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "relay of resolver:", err)
			return
		}
		go func() {
			defer client.Close()
			server, err := dialHost("tcp", address)
			if err != nil {
				return
			}
			defer server.Close()
			go func() {
				io.Copy(server, client)
				server.(*net.TCPConn).CloseWrite()
			}()
			io.Copy(client, server)
		}()
	}
}

func dialHost(network, address string) (connection net.Conn, err error) {
	err = onHost(func() error {
		connection, err = net.Dial(network, address)
		return err
	})
	return connection, err
}

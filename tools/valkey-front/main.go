// valkey-front stands for `valkey-server` 9.1 in the sandbox, where only an older server of the same protocol can be had. It
// reads the very configuration, runs that server behind a socket, takes the TLS connections itself and makes each the user
// that the client certificate's common name says (`tls-auth-clients-user CN`), by a password that exists only between the two.
// A certificate that no user is named after gets the default user, who may do nothing.
package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	server    = "redis-server"
	handshake = 10 * time.Second
	patience  = 20 * time.Second
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "valkey-front:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("valkey-server <configuration file>")
	}
	read, err := readConfig(os.Args[1])
	if err != nil {
		return err
	}
	socket := filepath.Join(folder(read.rest), "valkey.sock")
	behind := exec.Command(server, "-")
	behind.Stdin = strings.NewReader(read.behind(socket))
	behind.Stdout, behind.Stderr = os.Stdout, os.Stderr
	if err := behind.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- behind.Wait() }()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for told := range signals {
			_ = behind.Process.Signal(told)
		}
	}()
	if err := until(socket, ended); err != nil {
		return err
	}
	listener, err := read.listen()
	if err != nil {
		_ = behind.Process.Kill()
		return err
	}
	go func() {
		for {
			client, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			go serve(client.(*tls.Conn), socket, read.secrets)
		}
	}()
	err = <-ended
	_ = listener.Close()
	return err
}

// folder is where the server keeps its files; the socket lies there, as it is the one place it may write to.
func folder(lines []string) string {
	for _, line := range lines {
		if value, found := strings.CutPrefix(line, "dir "); found {
			return strings.TrimSpace(value)
		}
	}
	return os.TempDir()
}

// until waits for the server's socket to answer.
func until(socket string, ended chan error) error {
	for began := time.Now(); time.Since(began) < patience; time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-ended:
			return fmt.Errorf("%s ended at once: %w", server, errors.Join(err, errors.New("see above")))
		default:
		}
		if connection, err := net.Dial("unix", socket); err == nil {
			return connection.Close()
		}
	}
	return fmt.Errorf("%s does not answer", server)
}

// serve joins a client with the server, as the user of its certificate.
func serve(client *tls.Conn, socket string, secrets map[string]string) {
	defer func() { _ = client.Close() }()
	_ = client.SetDeadline(time.Now().Add(handshake))
	if err := client.Handshake(); err != nil {
		fmt.Fprintf(os.Stderr, "valkey-front: %s: %v\n", client.RemoteAddr(), err)
		return
	}
	_ = client.SetDeadline(time.Time{})
	behind, err := net.Dial("unix", socket)
	if err != nil {
		fmt.Fprintf(os.Stderr, "valkey-front: %v\n", err)
		return
	}
	defer func() { _ = behind.Close() }()
	if secret, known := secrets[client.ConnectionState().PeerCertificates[0].Subject.CommonName]; known {
		if err := become(behind, client.ConnectionState().PeerCertificates[0].Subject.CommonName, secret); err != nil {
			fmt.Fprintf(os.Stderr, "valkey-front: %v\n", err)
			return
		}
	}
	go func() {
		_, _ = io.Copy(behind, client)
		_ = behind.(*net.UnixConn).CloseWrite()
	}()
	_, _ = io.Copy(client, behind)
}

// become logs a connection in; the server answers one line before anything else is sent.
func become(behind net.Conn, user, secret string) error {
	command := fmt.Sprintf("*3\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(user), user, len(secret), secret)
	if _, err := io.WriteString(behind, command); err != nil {
		return err
	}
	said, err := bufio.NewReaderSize(behind, 16).ReadString('\n')
	if err != nil {
		return err
	}
	if strings.TrimSpace(said) != "+OK" {
		return fmt.Errorf("%s is not let in: %s", user, strings.TrimSpace(said))
	}
	return nil
}

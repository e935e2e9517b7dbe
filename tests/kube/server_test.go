//go:build kube

package kube

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// startTime bounds the wait for the servers, stopTime that for their end.
const (
	startTime = 2 * time.Minute
	stopTime  = 10 * time.Second
)

// token is known to this machine's loopback for the time of the tests.
const token = "tests-only"

// servers are one etcd and one kube-apiserver.
type servers struct {
	client    *client
	processes []*exec.Cmd
}

// start starts both and waits until they can be asked.
func start(ctx context.Context, programs, dir string) (*servers, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	files, err := secrets(dir)
	if err != nil {
		return nil, err
	}
	store, peers := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	s := &servers{client: newClient("https://127.0.0.1:" + ports[2])}
	for name, args := range map[string][]string{
		"etcd": {
			"--data-dir=" + filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level=warn",
			"--listen-client-urls=" + store, "--advertise-client-urls=" + store,
			"--listen-peer-urls=" + peers, "--initial-advertise-peer-urls=" + peers, "--initial-cluster=default=" + peers,
		},
		"apiserver": {
			"--etcd-servers=" + store, "--bind-address=127.0.0.1", "--secure-port=" + ports[2],
			"--cert-dir=" + filepath.Join(dir, "certs"), "--endpoint-reconciler-type=none",
			"--service-cluster-ip-range=10.96.0.0/16", "--token-auth-file=" + files.tokens,
			"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + files.key,
			"--service-account-signing-key-file=" + files.key,
			// Nobody makes the tokens that it would wait for.
			"--disable-admission-plugins=ServiceAccount",
			// As in most clusters: it is the standard that has to refuse them.
			"--allow-privileged=true",
		},
	} {
		log, err := os.Create(filepath.Join(dir, name+".log"))
		if err != nil {
			s.stop()
			return nil, err
		}
		cmd := exec.Command(filepath.Join(programs, name), args...)
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			s.stop()
			return nil, err
		}
		s.processes = append(s.processes, cmd)
	}
	if err := s.client.wait(ctx); err != nil {
		s.stop()
		log, _ := os.ReadFile(filepath.Join(dir, "apiserver.log"))
		return nil, fmt.Errorf("%w\n%s", err, log)
	}
	return s, os.WriteFile(files.kubeconfig, []byte(s.client.kubeconfig(files.kubeconfig)), 0o600)
}

// stop ends both, gracefully at first.
func (s *servers) stop() {
	for _, cmd := range s.processes {
		_ = cmd.Process.Signal(os.Interrupt)
		ended := time.AfterFunc(stopTime, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		ended.Stop()
	}
}

// memory is the most that both ever had, as far as the system says.
func (s *servers) memory() string {
	var most []string
	for _, cmd := range s.processes {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if peak := regexp.MustCompile(`VmHWM:\s*(\d+)\d{3} kB`).FindSubmatch(status); peak != nil {
			most = append(most, fmt.Sprintf("%s %s MB", filepath.Base(cmd.Path), peak[1]))
		}
	}
	return strings.Join(most, ", ")
}

type files struct{ tokens, key, kubeconfig string }

// secrets writes the files that the API server wants at its start, with a key of their own.
func secrets(dir string) (files, error) {
	f := files{filepath.Join(dir, "tokens.csv"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "kubeconfig")}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return f, err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	if err := os.WriteFile(f.key, pem.EncodeToMemory(block), 0o600); err != nil {
		return f, err
	}
	return f, os.WriteFile(f.tokens, []byte(token+`,tester,1,"system:masters"`+"\n"), 0o600)
}

// freePorts returns ports of the loopback that nobody used a moment ago.
func freePorts(count int) ([]string, error) {
	var ports []string
	var listeners []net.Listener
	// All at once at the end, so that they differ.
	defer func() {
		for _, listener := range listeners {
			_ = listener.Close()
		}
	}()
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, listener)
		_, port, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

package connect

import (
	"net"
)

// Local returns the address by which the same machine reaches a server that listens on an address. A server that listens on all
// addresses, also of IPv6, is reached by 127.0.0.1: a container often has no ::1.
func Local(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

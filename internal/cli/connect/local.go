package connect

import (
	"net"
)

// Local is the address at which a server that listens there is reached from the same machine. One that listens on all
// addresses, of IPv6 too, does so on this one; a container often has no ::1.
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

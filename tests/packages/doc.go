// Package packages builds the .deb and the .rpm of deploy/linux and looks at them as the package managers do: dpkg and rpm really
// install, update and remove them, in folders in place of a system. Where a process may make namespaces, TestBoot starts systemd
// in some, installs the package there and does what docs/install.md says.
//
//	.ci/run packages                              # all of it
//	go -C tests/packages test -packages -v -run X # some of it
//
// Without -packages nothing runs: it needs dpkg, rpm and systemd.
package packages

// Package chart checks the Helm chart without a cluster: it renders each value file in deploy/helm/factro-bridge/ci,
// for the oldest and the newest Kubernetes, and holds every object against the schema of its kind and every pod against
// the restricted Pod Security standard. The bridge and the NATS server read the configuration that is made for them, and
// what objects say of each other has to be true. The values that documents tell people to write are rendered as well. A
// real API server is asked by tests/kube.
//
// It is a module of its own, so that nothing of Kubernetes is a dependency of the bridge. Helm, helm-unittest and
// kubeconform are those of tools/helm; the first run builds them, and fetches the modules that the schemas are made of.
package chart

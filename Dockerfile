# The image of the bridge: one static binary, certificates, and nothing else. It has no shell.
#
#   docker build -t factro-bridge .
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=0.1.0 -t factro-bridge:0.1.0 .
#
# It builds with BuildKit and with the classic builder; the latter builds for its own platform only.

# The compiler runs on the machine that builds, whatever it builds for.
FROM --platform=${BUILDPLATFORM:-linux/amd64} golang:1.26.11 AS build
WORKDIR /src

# The modules are a layer of their own: they change seldom.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
ARG VERSION=dev
ARG TARGETOS
ARG TARGETARCH
# Nothing of the machine, the path or the time gets into the binary: the same source and version give the same bytes.
# timetzdata is the database of time zones, which scratch has not. The spool's directory is made here, too: its owner goes
# along, and a volume that is mounted there for the first time takes it over.
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -tags timetzdata -ldflags "-s -w -buildid= -X main.version=$VERSION" -o /out/bridge ./cmd/bridge \
 && mkdir -p /out/var/lib/factro-bridge/spool

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 /out/var/lib/factro-bridge /var/lib/factro-bridge
COPY LICENSE /
COPY --from=build /out/bridge /bridge

# A number and not a name: Kubernetes can see that it is not root, and scratch has no /etc/passwd.
USER 65532:65532
WORKDIR /

# Webhooks, and for operators health and metrics; admin.listen has to be ":9090" for the latter to be reached from outside.
EXPOSE 8080 9090

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/bridge", "healthcheck", "--config", "/etc/factro-bridge/bridge.yaml"]
ENTRYPOINT ["/bridge"]
CMD ["run", "--config", "/etc/factro-bridge/bridge.yaml"]

# Last, since each build has others.
ARG VERSION=dev
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="factro-bridge" \
      org.opencontainers.image.description="The bridge between factro and NATS JetStream" \
      org.opencontainers.image.source="https://github.com/factro-bridge/factro-bridge" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"

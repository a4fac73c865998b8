# syntax=docker/dockerfile:1

# For those who build with Docker: make images and make image pack the same binary without it, reproducibly and with a bill of materials. With the
# same version of Go it has the same bytes; the public authorities beside it are those of the image of Go here, and Mozilla's list there.
# One file for every binary of cmd/:
#
#   docker build --build-arg BINARY=webhook --build-arg VERSION=v0.1.0 --tag ghcr.io/tiktok-operator/webhook:v0.1.0 .
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg BINARY=manager .
#
# The same bytes each time, and a bill of materials:
#
#   docker buildx build --build-arg SOURCE_DATE_EPOCH=0 --output type=image,name=…,rewrite-timestamp=true --sbom=true …

# The Go that builds. A tag may move: give the digest of the one that you have checked, golang:1.26.8-alpine@sha256:…, to have the same for ever.
ARG GO_IMAGE=golang:1.26.8-alpine

# The compiler runs on the builder's platform and cross-compiles: emulating the target's is many times slower.
FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src
# What go.mod asks for is what builds, or nothing does.
ENV GOTOOLCHAIN=local GOFLAGS=-mod=readonly
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG BINARY=manager
ARG VERSION=dev
ARG TARGETOS
ARG TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/entrypoint ./cmd/${BINARY}
# The folders that volumes are mounted on: an engine that makes a volume from the image keeps their owner.
RUN mkdir -p /out/volumes/var/lib/tiktok-operator /out/volumes/var/run/tiktok-operator/journal \
    && chown -R 65532:65532 /out/volumes/var/lib/tiktok-operator /out/volumes/var/run/tiktok-operator

FROM scratch
ARG BINARY=manager
ARG VERSION=dev
LABEL org.opencontainers.image.title="tiktok-operator ${BINARY}" \
      org.opencontainers.image.description="Kubernetes-native TikTok Business Messaging" \
      org.opencontainers.image.source="https://github.com/tiktok-operator/tiktok-operator" \
      org.opencontainers.image.documentation="https://github.com/tiktok-operator/tiktok-operator/tree/main/docs" \
      org.opencontainers.image.vendor="The tiktok-operator Authors" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# The public authorities, as the image of Go has them.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/volumes/ /
COPY --from=build /out/entrypoint /entrypoint
# By number, so that runAsNonRoot can be checked without a passwd file.
USER 65532:65532
ENTRYPOINT ["/entrypoint"]

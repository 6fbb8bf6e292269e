# The two images of the product, for those who build with a container engine:
#
#   docker build --target operator --build-arg VERSION=v1.0.0 -t REGISTRY/operator:v1.0.0 .
#   docker build --target pbx      --build-arg VERSION=v1.0.0 -t REGISTRY/pbx:v1.0.0 .
#
# `make images` makes the same without an engine; hack/images/oci is the
# reference for what is in them, and its test compares this file with it.

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS=linux TARGETARCH VERSION=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/ ./cmd/operator ./cmd/pbx
RUN mkdir -p /root-fs/etc/ssl/certs /root-fs/tmp \
 && chmod 1777 /root-fs/tmp \
 && cp /etc/ssl/certs/ca-certificates.crt /root-fs/etc/ssl/certs/ \
 && printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n' > /root-fs/etc/passwd \
 && printf 'root:x:0:\nnonroot:x:65532:\n' > /root-fs/etc/group

FROM scratch AS base
COPY --from=build /root-fs/ /
ENV PATH=/ HOME=/tmp
WORKDIR /
USER 65532:65532
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.source="https://github.com/dipcast/dipcast" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

FROM base AS operator
LABEL org.opencontainers.image.title="dipcast/operator"
COPY --from=build /out/operator /operator
ENTRYPOINT ["/operator"]

FROM base AS pbx
LABEL org.opencontainers.image.title="dipcast/pbx"
COPY --from=build /out/pbx /pbx
ENTRYPOINT ["/pbx"]

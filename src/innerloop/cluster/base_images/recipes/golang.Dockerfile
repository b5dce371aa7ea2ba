# The Go toolchain of this machine; the build's context is its folder. No C compiler: cgo is off, as Go itself then decides.
FROM docker.io/library/debian:12-slim
COPY . /usr/local/go/
ENV GOTOOLCHAIN=local GOPATH=/go PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN mkdir -p /go/src /go/bin && chmod -R 1777 /go && go version
WORKDIR /go

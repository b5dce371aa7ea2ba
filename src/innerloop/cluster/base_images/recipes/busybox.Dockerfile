# BusyBox of Debian 12, static, with a link for each of its commands.
FROM docker.io/library/debian:12-slim AS packages
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends busybox-static \
 && install -D /bin/busybox /root/image/bin/busybox \
 && for command in $(busybox --list | grep -vx busybox); do ln -s busybox /root/image/bin/$command; done \
 && cd /root/image && install --directory --mode 1777 tmp && install --directory etc home root usr var/spool/mail \
 && ln -s ../bin usr/bin && ln -s bin sbin \
 && echo 'root:x:0:0:root:/root:/bin/sh' > etc/passwd && echo 'root:x:0:' > etc/group \
 && echo 'nobody:x:65534:65534:nobody:/home:/bin/false' >> etc/passwd && echo 'nobody:x:65534:' >> etc/group
FROM scratch
COPY --from=packages /root/image /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
CMD ["sh"]

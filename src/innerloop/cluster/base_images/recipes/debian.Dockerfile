# Debian 12, as small as the usual slim image: no documentation but licences, no translations, no package lists.
FROM scratch
ADD rootfs.tar /
COPY sources.list /etc/apt/sources.list
# this machine's own authorities: without them no package registry behind its proxy can be reached from a build
COPY certificates/ /usr/local/share/ca-certificates/
# what is packaged later leaves out the same, and keeps no archives
RUN printf 'path-exclude /usr/share/doc/*\npath-include /usr/share/doc/*/copyright\npath-exclude /usr/share/man/*\npath-exclude /usr/share/info/*\npath-exclude /usr/share/locale/*\npath-exclude /usr/share/lintian/*\n' > /etc/dpkg/dpkg.cfg.d/slim \
 && printf 'APT::Keep-Downloaded-Packages "false";\nDir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\nAcquire::Languages "none";\n' > /etc/apt/apt.conf.d/slim \
 && update-ca-certificates && apt-get update && apt-get upgrade --yes \
 && find /usr/share/doc -mindepth 2 ! -name copyright ! -type d -delete \
 && find /usr/share/doc -mindepth 1 -type d -empty -delete \
 && rm -rf /usr/share/man/* /usr/share/info/* /usr/share/locale/* /usr/share/lintian \
           /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/log/* \
 && truncate --size 0 /etc/machine-id
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
CMD ["bash"]

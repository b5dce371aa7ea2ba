# Redis 7.0 of Debian 12, that behaves as the usual image does: reachable by other pods, data in /data, user 999 instead of
# root, options alone as arguments.
FROM docker.io/library/debian:12-slim
RUN groupadd --system --gid 999 redis \
 && useradd --system --uid 999 --gid redis --home-dir /data --shell /usr/sbin/nologin redis \
 && install --directory --owner redis --group redis /data \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends redis-server \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
RUN printf '%s\n' '#!/bin/sh' 'set -e' \
    '[ "$(id -u)" != 0 ] || { chown -R redis:redis /data; exec setpriv --reuid 999 --regid 999 --clear-groups "$0" "$@"; }' \
    'exec /usr/bin/redis-server "$@" --protected-mode no' > /usr/local/bin/redis-server \
 && printf '%s\n' '#!/bin/sh' 'case "$1" in -*|*.conf) set -- redis-server "$@" ;; esac' 'exec "$@"' \
    > /usr/local/bin/docker-entrypoint.sh \
 && chmod 755 /usr/local/bin/redis-server /usr/local/bin/docker-entrypoint.sh
VOLUME /data
WORKDIR /data
EXPOSE 6379
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["redis-server"]

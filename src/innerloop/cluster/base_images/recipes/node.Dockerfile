# Node.js with npm, out of a wheel that carries the project's own build of it; the build's context is its folder.
FROM docker.io/library/debian:12-slim
COPY bin/node /usr/local/bin/node
COPY lib/node_modules/npm /usr/local/lib/node_modules/npm
RUN chmod 755 /usr/local/bin/node /usr/local/lib/node_modules/npm/bin/*-cli.js \
 && ln -s node /usr/local/bin/nodejs \
 && ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
 && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \
 && groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node \
 && npm config set --location=global cafile /etc/ssl/certs/ca-certificates.crt \
 && node --version && npm --version && rm -rf /root/.npm /var/log/*
CMD ["node"]

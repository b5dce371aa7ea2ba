# A Python that pyenv or uv installed on this machine, moved to where the usual image has it; the build's context is its folder.
FROM docker.io/library/debian:12-slim
ENV LANG=C.UTF-8
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    libbz2-1.0 libffi8 libgdbm6 liblzma5 libncursesw6 libnsl2 libreadline8 libsqlite3-0 libssl3 libuuid1 zlib1g \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
COPY . /usr/local/
RUN ldconfig \
 && cd /usr/local/bin && ln -s python3.[0-9]* python3 && ln -s python3 python \
 && python -c "import bz2, ctypes, lzma, readline, sqlite3, ssl, zlib" \
 && printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' > /etc/pip.conf \
 && python -m ensurepip --default-pip && rm -rf /root/.cache \
 && find /usr/local/lib -name __pycache__ -prune -exec rm -rf {} +
CMD ["python3"]

#!/bin/sh
# Makes a base image for laboratory/Dockerfile without a registry: Debian with Python by debootstrap, with
# this machine's CA certificates and pip configuration, so that the build reaches what this machine reaches.
# Needs root, debootstrap and a running Docker daemon.
#
#     sh laboratory/base-image.sh [TAG]
set -eu

TAG=${1:-localhost/palpo-complement-base:latest}
SUITE=${SUITE:-bookworm}
MIRROR=${MIRROR:-http://deb.debian.org/debian}

ROOT=$(mktemp -d)
trap 'rm -rf "$ROOT"' EXIT INT TERM

debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv "$SUITE" "$ROOT" "$MIRROR"
rm -rf "$ROOT"/var/cache/apt/archives/*.deb "$ROOT"/var/lib/apt/lists/*
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$ROOT/etc/ssl/certs/ca-certificates.crt"
for file in /etc/pip.conf "${HOME:-/root}/.config/pip/pip.conf"; do
    [ ! -f "$file" ] || install -D -m 644 "$file" "$ROOT/etc/pip.conf"
done

tar -C "$ROOT" --numeric-owner -c . | docker import \
    --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' \
    --change 'CMD ["/bin/sh"]' - "$TAG"

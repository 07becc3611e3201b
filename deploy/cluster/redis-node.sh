#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Starts a server of Redis or a Sentinel in a container, with its configuration in /data, because both rewrite it at a failover.
# usage: redis-node.sh server|sentinel NAME MASTER
#   NAME    the name by which the others reach this container
#   MASTER  the name of the server that is the master at the very first start
# The password is in /run/secrets/redis-password, and redis.conf and sentinel.conf are in /etc/redis.
set -eu
umask 077
kind=$1 name=$2 master=$3
file=/data/$kind.conf
password=$(cat /run/secrets/redis-password)

if [ ! -s "$file" ]; then
    case "$kind" in
    server)
        printf 'include /etc/redis/redis.conf\ndir /data\nport 6379\nprotected-mode no\n'
        printf 'replica-announce-ip %s\nrequirepass %s\nmasterauth %s\n' "$name" "$password" "$password"
        if [ "$name" != "$master" ]; then printf 'replicaof %s 6379\n' "$master"; fi
        ;;
    sentinel)
        printf 'dir /data\nport 26379\nsentinel resolve-hostnames yes\nsentinel announce-hostnames yes\nsentinel announce-ip %s\n' "$name"
        printf 'sentinel monitor parley %s 6379 2\nsentinel auth-pass parley %s\n' "$master" "$password"
        cat /etc/redis/sentinel.conf
        ;;
    esac >"$file.new"
    mv "$file.new" "$file"
fi

case "$kind" in
server) exec redis-server "$file" ;;
sentinel) exec redis-server "$file" --sentinel ;;
esac

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes a tarball of the release build, .build/parley-VERSION-linux-ARCHITECTURE.tar.gz, and prints its path. "deploy/build.sh --package" builds
# the release and calls this script. The same executables at the same commit give the same bytes. The browser client is packed beside it for
# npm, .build/parley-client-VERSION.tgz.
# usage: deploy/package/package.sh [DIRECTORY]     DIRECTORY has the executables; default: .build/release
#
#   bin/                       parley and parley-launch, stripped
#   etc/                       the configuration files
#   systemd/                   units
#   share/man/                 manual pages
#   share/bash-completion/, share/zsh/, share/fish/     completions
#   share/doc/parley/          the pages, the license, the example services, and the files for containers and proxies
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly release="${1:-.build/release}"
command -v python3 >/dev/null || {
    printf 'package: python3 not found; run deploy/setup.sh\n' >&2
    exit 1
}

staged="$(mktemp -d)"
trap 'rm -rf "$staged"' EXIT

# The time of the commit, for a reproducible tarball; without a repository the start of 1980.
epoch="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || printf '315532800')}"
version="$("$release/parley" --version | cut -d ' ' -f 2)"
name="parley-$version"
tarball=".build/$name-linux-$(uname -m).tar.gz"
root="$staged/$name"
doc="$root/share/doc/parley"

install -d "$root/bin" "$root/etc" "$doc" "$root/share/bash-completion/completions" "$root/share/zsh/site-functions" \
    "$root/share/fish/vendor_completions.d"
for executable in parley parley-launch; do
    install -m 755 "$release/$executable" "$root/bin/"
    strip "$root/bin/$executable"
done
install -m 644 config/*.yaml "$root/etc/"
for path in deploy/systemd deploy/install-service.sh; do
    if [[ -e "$path" ]]; then cp -r "$path" "$root/"; fi
done

"$root/bin/parley" --generate-completion-script bash >"$root/share/bash-completion/completions/parley"
"$root/bin/parley" --generate-completion-script zsh >"$root/share/zsh/site-functions/_parley"
"$root/bin/parley" --generate-completion-script fish >"$root/share/fish/vendor_completions.d/parley.fish"
PYTHONDONTWRITEBYTECODE=1 deploy/package/manuals.py --executable "$root/bin/parley" --output "$root/share/man" \
    --date "$(date --utc --date="@$epoch" +%F)"

# All pages are in one directory, without the parts of the repository that the tarball doesn't have.
install -m 644 LICENSE Sources/GatewayServer/Documentation.docc/*.svg "$doc/"
for page in README.md CHANGELOG.md SECURITY.md Sources/GatewayServer/Documentation.docc/*.md; do
    sed -E -e 's#\]\((\.\./\.\./\.\./|Sources/GatewayServer/Documentation\.docc/)#](#g' \
        -e 's#\[([^][]*)\]\((\.\.|Sources|Tests|\.swift-format|\.github|CONTRIBUTING\.md|llms\.txt)[^()]*\)#\1#g' \
        -e 's#\]\(config/#](../../../etc/#g' "$page" >"$doc/${page##*/}"
done
install -d "$doc/deploy"
for directory in cluster container examples kubernetes logging monitoring proxies; do
    if [[ -d "deploy/$directory" ]]; then cp -r "deploy/$directory" "$doc/deploy/"; fi
done
if [[ -f deploy/compose.yaml ]]; then cp deploy/compose.yaml "$doc/deploy/"; fi
find "$root" -name __pycache__ -prune -exec rm -r {} +

# Modes don't depend on the umask of the build.
chmod -R u=rwX,go=rX "$root"
tar --create --directory "$staged" --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --format=gnu "$name" |
    gzip --no-name >"$staged/tarball"
mv "$staged/tarball" "$tarball"

# npm expects the directory "package". The client has the version of the gateway.
npm="$staged/npm/package"
install -d "$npm"
install -m 644 LICENSE Sources/ParleyJS/{README.md,parley.js,parley-audio.js,parley.d.ts,internal.d.ts} "$npm/"
sed -E "s/^(  \"version\": \")[^\"]*/\1$version/" Sources/ParleyJS/package.json >"$npm/package.json"
chmod -R u=rwX,go=rX "$npm"
tar --create --directory "$staged/npm" --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --format=gnu package |
    gzip --no-name >".build/parley-client-$version.tgz"
printf '%s\n' "$tarball"

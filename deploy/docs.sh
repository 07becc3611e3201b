#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Renders the pages with DocC, as a static site.
# usage: deploy/docs.sh [OUTPUT]     (default .build/docs)
# The pages are plain Markdown, with links that work on GitHub. For DocC, a copy is made in which links between pages are DocC's, and links to
# other files of the repository are text, or lead to $PARLEY_SOURCE_URL, the address under which the repository can be browsed.
set -euo pipefail
output="${1:-.build/docs}"
if [[ "$output" != /* ]]; then output="$PWD/$output"; fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."

docc="$(command -v docc || true)"
if [[ -z "$docc" ]]; then docc="$(dirname "$(readlink -f "$(command -v swift)")")/docc"; fi

staged="$(mktemp -d)"
trap 'rm -rf "$staged"' EXIT
catalogue="$staged/GatewayServer.docc"
mkdir "$catalogue"
cp Sources/GatewayServer/Documentation.docc/*.svg "$catalogue"

# Reads every page twice: first the headings, whose fragments are in lower case on GitHub and keep their case in DocC, then the lines.
for page in Sources/GatewayServer/Documentation.docc/*.md; do
    awk -v source="${PARLEY_SOURCE_URL:-}" -v folder=Sources/GatewayServer/Documentation.docc '
        function name(path) { sub(/.*\//, "", path); sub(/\.md$/, "", path); return path }
        function fragment(heading) { gsub(/[^A-Za-z0-9 _-]/, "", heading); gsub(/ /, "-", heading); return heading }
        # The path of a link relative to the catalogue, from the top of the repository.
        function absolute(path,    base) {
            base = folder
            while (path ~ /^\.\.\//) { sub(/^\.\.\//, "", path); sub(/\/?[^\/]*$/, "", base) }
            return base == "" ? path : base "/" path
        }
        function link(text, target, own,    parts, page) {
            if (target ~ /^https:/) return "[" text "](" target ")"
            split(target, parts, "#")
            page = parts[1] == "" ? own : name(parts[1])
            if (parts[1] != "" && parts[1] !~ /^[A-Za-z]+\.md$/) return source == "" ? text : "[" text "](" source "/" absolute(target) ")"
            if (target !~ /#/) return topics ? "<doc:" page ">" : "[" text "](doc:" page ")"
            return "[" text "](doc:" page "#" headings[page, parts[2]] ")"
        }
        FNR == 1 { file++; code = topics = 0 }
        /^```/ { code = !code }
        FILENAME != ARGV[ARGC - 1] || file < ARGC - 1 {
            if (!code && /^#/) {
                heading = $0
                sub(/^#+ */, "", heading)
                headings[name(FILENAME), tolower(fragment(heading))] = fragment(heading)
            }
            next
        }
        code { print; next }
        /^<!--/ { next }
        /^# / && name(FILENAME) == "GatewayServer" { print $0 "\n\n@Metadata {\n    @TechnologyRoot\n}"; next }
        /^## / { topics = /^## Topics/ }
        {
            rest = $0
            line = ""
            while (match(rest, /\[[^][]*\]\([^()]*\)/)) {
                found = substr(rest, RSTART + 1, RLENGTH - 2)
                line = line substr(rest, 1, RSTART - 1)
                split_at = index(found, "](")
                # An image is copied with the pages and keeps its path.
                if (substr(rest, RSTART - 1, 1) == "!") line = line "[" found ")"
                else line = line link(substr(found, 1, split_at - 1), substr(found, split_at + 2), name(FILENAME))
                rest = substr(rest, RSTART + RLENGTH)
            }
            print line rest
        }
    ' Sources/GatewayServer/Documentation.docc/*.md "$page" >"$catalogue/${page##*/}"
done

rm -rf "$output"
"$docc" convert "$catalogue" --fallback-display-name Parley --fallback-bundle-identifier parley --transform-for-static-hosting \
    --warnings-as-errors --output-path "$output" >&2
printf 'docs: %s\n' "$output" >&2

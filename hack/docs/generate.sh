#!/bin/sh
# Generates docs/reference.
#
#   api.md      from the API types, by crd-ref-docs
#   NAME.md     what `go run ./hack/docs/NAME` prints, for every program in a folder beside this file: a reference of flags, metrics, or
#               whatever else the code knows better than a person does. Each prints a whole Markdown page and reads nothing, but for:
#   messaging-api.md, problems.md, and internal/messagingapi/openapi.json: what `go run ./hack/docs/openapi DOCUMENT PAGE PROBLEMS` writes there
#   events/     what `go run ./hack/docs/events FOLDER` writes there: schemas and examples, with their page
set -eu

cd -- "$(dirname -- "$0")/../.."
mkdir -p docs/reference
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

crd_ref_docs=$(hack/tools/ensure.sh crd-ref-docs)
"$crd_ref_docs" --log-level ERROR --source-path api/v1alpha1 --config hack/docs/crd-ref-docs.yaml --renderer markdown \
	--templates-dir hack/docs/templates --output-path "$scratch/api.md"

for program in hack/docs/*/main.go; do
	[ -f "$program" ] || continue
	folder=$(dirname "$program")
	if [ "$folder" = hack/docs/events ]; then
		go run "./$folder" "$scratch/events"
		continue
	fi
	if [ "$folder" = hack/docs/openapi ]; then
		go run "./$folder" "$scratch/openapi.json" "$scratch/messaging-api.md" "$scratch/problems.md"
		continue
	fi
	go run "./$folder" >"$scratch/${folder##*/}.md"
done

# Nothing is replaced unless everything was generated. What is not generated any more goes.
rm -rf docs/reference/events
cp -R "$scratch/events" docs/reference/events
for page in "$scratch"/*.md; do
	cp "$page" docs/reference/
done
cp "$scratch/openapi.json" internal/messagingapi/openapi.json

/* Vulkan blobs: whatever is accepted can be written, and what was written is read again. */
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "program/program.h"

enum { NAMED_BYTES = 4096 };

/* Every name leads to the same bytes. */
static bool find(void *user, const char *key, const uint8_t **data, uint64_t *bytes)
{
    static _Alignas(16) const uint8_t zeros[NAMED_BYTES];
    (void)user;
    (void)key;
    *data = zeros;
    *bytes = NAMED_BYTES;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const qvk__data_source named = {.find = find};
    qvk__graph graph, again;
    uint8_t *blob;
    uint64_t bytes;
    qvk_error err;

    if (qvk__blob_read(data, size, &named, &graph, &err) != QVK_OK)
        return 0;
    assert(qvk__graph_verify(&graph, &err) == QVK_OK);
    if (qvk__blob_write(&graph, NULL, &blob, &bytes, &err) == QVK_OK) {
        assert(qvk__blob_read(blob, bytes, &named, &again, &err) == QVK_OK);
        assert(again.nodes.count == graph.nodes.count);
        assert(again.inputs.count == graph.inputs.count && again.outputs.count == graph.outputs.count);
        qvk__graph_finish(&again);
        free(blob);
    }
    qvk__graph_finish(&graph);
    return 0;
}

/* .pte programs: whatever is accepted is verified, prints, and its constants can be read to the last byte. */
#include "fuzz/fuzz.h"
#include "program/program.h"

static uint32_t sum_bytes(const void *data, uint64_t n)
{
    uint32_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += ((const uint8_t *)data)[i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qvk__string text = {0};
    qvk__program program;
    uint32_t sum = 0;
    qvk_error err;

    if (qvk__program_read_bytes(data, size, "fuzz.pte", &program, &err) != QVK_OK)
        return 0;
    assert(qvk__program_verify(&program, &err) == QVK_OK);
    for (uint32_t m = 0; m < program.n_methods; m++) {
        const qvk__method *method = &program.methods[m];
        for (uint32_t v = 0; v < method->n_values; v++)
            if (method->values[v].constant)
                sum += sum_bytes(method->values[v].constant, method->values[v].constant_bytes);
        for (uint32_t d = 0; d < method->n_delegates; d++) {
            const qvk__graph *graph = &method->delegates[d].graph;
            for (size_t v = 0; v < graph->values.count; v++)
                if (graph->values.data[v].constant)
                    sum += sum_bytes(graph->values.data[v].constant->data,
                                     graph->values.data[v].constant->bytes);
        }
    }
    qvk__program_print(&program, true, &text);
    qvk__program_print_json(&program, true, &text);
    assert(text.failed || text.count > 0 || sum == 0);
    free(text.data);
    qvk__program_finish(&program);
    return 0;
}

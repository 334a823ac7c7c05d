/* .pt2 files: whatever is read passes verification, has all its bytes, prints, and is written and read again.
 */
#include <stdlib.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "pt2/pt2.h"

static void touch(const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        volatile uint8_t byte = ((const uint8_t *)bytes)[i];
        (void)byte;
    }
}

static void touch_constants(const qvk__exported *program)
{
    for (size_t i = 0; i < program->inputs.count; i++) {
        const qvk__input_spec *spec = &program->inputs.data[i];
        const qvk__constant *constant =
            spec->kind == QVK__INPUT_LITERAL ? NULL : program->graph.values.data[spec->value].constant;
        const void *bytes;
        /* A shape may promise more than there is memory: views repeat their storage. */
        if (!constant || constant->bytes > 1 << 20)
            continue;
        assert(qvk__constant_bytes(constant, &bytes, NULL) == QVK_OK);
        touch(bytes, (size_t)constant->bytes);
        qvk__constant_release(constant, bytes);
    }
    for (size_t i = 0; i < program->samples.count; i++)
        touch(program->samples.data[i].data, qvk_tensor_bytes(&program->samples.data[i]));
}

static void print(const qvk__exported *program)
{
    qvk__string text = {0};

    qvk__exported_print(program, true, &text);
    qvk__exported_print_json(program, true, &text);
    free(text.data);
}

static void write_and_read(const qvk__exported *program)
{
    char path[] = "/tmp/fuzz-XXXXXX.pt2";
    int file = mkstemps(path, 4);
    qvk__exported again;
    qvk_error err;

    assert(file >= 0);
    close(file);
    if (qvk__pt2_write(program, path, &err) == QVK_OK) {
        assert(qvk__pt2_read(path, &again, &err) == QVK_OK);
        assert(again.graph.nodes.count == program->graph.nodes.count);
        qvk__exported_finish(&again);
    }
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qvk__exported program;
    qvk_error err;

    if (qvk__pt2_read_bytes(data, size, "fuzz.pt2", &program, &err) != QVK_OK)
        return 0;
    assert(qvk__exported_verify(&program, &err) == QVK_OK);
    touch_constants(&program);
    print(&program);
    if (size % 16 == 0) /* files are slow */
        write_and_read(&program);
    qvk__exported_finish(&program);
    return 0;
}

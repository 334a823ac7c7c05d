/* safetensors: every tensor that is found has its bytes inside the file. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "pt2/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[] = "/tmp/fuzz-XXXXXX";
    int file = mkstemp(path);
    qvk__safetensors read;
    qvk__string text = {0};
    qvk_error err;

    assert(file >= 0);
    assert(write(file, data, size) == (ssize_t)size);
    close(file);
    if (qvk__safetensors_read(path, &read, &err) == QVK_OK) {
        for (size_t i = 0; i < read.tensors.count; i++) {
            const uint8_t *bytes = read.tensors.data[i].tensor.data;
            assert(bytes >= read.file.data && read.tensors.data[i].bytes <= read.file.bytes);
            assert(bytes + read.tensors.data[i].bytes <= read.file.data + read.file.bytes);
        }
        qvk__safetensors_print_json(&read, &text);
        free(text.data);
        qvk__safetensors_finish(&read);
    }
    unlink(path);
    return 0;
}

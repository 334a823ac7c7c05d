/* What is in a file: text or JSON about a .pte, .pt2 or .safetensors. */
#ifndef QVK_INSPECT_H
#define QVK_INSPECT_H

#include <stdbool.h>

#include "qvk/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qvk_inspect_params {
    bool json;                     /* one JSON document instead of text */
    bool graph;                    /* every node, not only the summary */
    const char *const *data_paths; /* .ptd files with a .pte's external constants */
    int32_t n_data_paths;
} qvk_inspect_params;

/* *out: NUL-terminated text, freed by the caller with qvk_text_free. params may be NULL. Errors as for
 * loading the file. */
QVK_API qvk_status qvk_inspect_file(const char *path, const qvk_inspect_params *params, char **out,
                                    qvk_error *err);
QVK_API void qvk_text_free(char **text);

#ifdef __cplusplus
}
#endif

#endif

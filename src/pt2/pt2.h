/* pt2: the archive torch.export.save writes (and its older forms) <-> qvk__exported. Untrusted input. */
#ifndef QVK__PT2_H
#define QVK__PT2_H

#include "ir/ir.h"

/* Maps the file; constants borrow from it. Nodes are normalised to positional arguments with defaults filled
 * in; operators qvk does not know stay as QVK__OP_NONE with their target (an error only when something needs
 * them). */
qvk_status qvk__pt2_read(const char *path, qvk__exported *out, qvk_error *err);
/* The same of a file in memory, which must outlive the program; `name` for messages. */
qvk_status qvk__pt2_read_bytes(const uint8_t *data, uint64_t bytes, const char *name, qvk__exported *out,
                               qvk_error *err);
/* Current archive format; constants are written as they are made. */
qvk_status qvk__pt2_write(const qvk__exported *program, const char *path, qvk_error *err);

#endif

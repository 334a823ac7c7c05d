/* What the tests of .pt2 files share: facts as tools/golden/make_pt2.py writes them, and files with one part
 * changed. */
#ifndef QVK_TEST_PT2_KIT_H
#define QVK_TEST_PT2_KIT_H

#include "ir/ir.h"
#include "pt2/zip_read.h"

/* The facts of a program, in the form of the .txt files beside the golden programs. The caller frees it. */
char *pt2_facts(const qvk__exported *program);

/* Golden program "linear.pt2", read; fails the running test otherwise. */
qvk__exported pt2_golden(const char *name);

/*
 * A golden file with one entry changed, in memory. entry: name below the root. With `from`, each occurrence
 * of that text in the entry is replaced by `to` (the test fails when there is none); without, the entry is
 * left out, or when `to` is set, becomes `to`. The caller frees *data.
 */
void pt2_edited(const char *name, const char *entry, const char *from, const char *to, uint8_t **data,
                uint64_t *bytes);

/* Reads an edited golden file and expects it to fail with this status and these words in the message. */
void pt2_expect_failure(const char *name, const char *entry, const char *from, const char *to,
                        qvk_status status, const char *words);

#endif

/* Comparison of programs, and the golden ones. */
#ifndef TEST_PROGRAM_COMPARE_H
#define TEST_PROGRAM_COMPARE_H

#include "program/program.h"
#include "support/support.h"

/* Fails the running test with the first difference. Values of graphs may be numbered differently. */
void assert_programs_equal(const qvk__program *a, const qvk__program *b);
void assert_graphs_equal(const qvk__graph *a, const qvk__graph *b);

/* tests/golden/programs/NAME.pte, with NAME.ptd where there is one; the caller finishes the program. */
void read_golden_program(const char *name, qvk__program *out);
/* Reads the file at `path` with the same .ptd. */
qvk_status read_like_golden(const char *path, const char *name, qvk__program *out, qvk_error *err);

/* Every golden program, NULL at the end. */
extern const char *const golden_programs[];

#endif

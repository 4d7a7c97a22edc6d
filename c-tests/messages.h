/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Callbacks for libbpf_set_print() that record messages. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include "test.h"

#include <bpf/libbpf.h>

/* The text of all warnings, the number of warnings, and the number of messages at all levels. */
static char warned[4096];
static int warnings, messages;

static inline void forget_warnings(void)
{
	warned[0] = 0;
	warnings = 0;
	messages = 0;
}

/* Not thread-safe. */
__attribute__((format(printf, 2, 0))) static inline int keep_warning(enum libbpf_print_level level,
								     const char *format, va_list arguments)
{
	messages++;
	if (level == LIBBPF_WARN) {
		size_t length = strlen(warned);
		vsnprintf(warned + length, sizeof(warned) - length, format, arguments);
		warnings++;
	}
	return 0;
}

/* Thread-safe. */
static inline int count_warning(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)format, (void)arguments;
	if (level == LIBBPF_WARN)
		__atomic_fetch_add(&warnings, 1, __ATOMIC_SEQ_CST);
	return 0;
}

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Prints messages for entry.c and links.c. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

struct bpf_link;
struct bpf_program;

/* libbpf_print_fn_t. */
typedef int print_fn(int level, const char *format, va_list arguments);

enum { LIBBPF_WARN };

/* Matches `Answer` in mod.rs. */
struct answer {
	struct bpf_link *link;
	print_fn *print;
	struct {
		size_t length;
		bool is_cut;
		char bytes[1024];
	} text;
	int error;
};

/* Prepares an answer. The text's bytes stay uninitialised until the Rust code writes to them. */
static void begin(struct answer *answer)
{
	answer->link = NULL;
	answer->print = NULL;
	answer->text.length = 0;
	answer->error = 0;
}

static void warn(print_fn *print, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	print(LIBBPF_WARN, format, arguments);
	va_end(arguments);
}

/* Prints the text of the answer, if there is any, and then clears the text. */
static void say(struct answer *answer)
{
	if (answer->text.length == 0)
		return;
	if (answer->print)
		warn(answer->print, "%s", answer->text.bytes);
	else if (write(STDERR_FILENO, answer->text.bytes, answer->text.length) < 0)
		return; /* There is no other place to report the error. */
	answer->text.length = 0;
	answer->print = NULL;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Calls bpf_program__attach_ksyscall() in many ways and prints one line for each case: the case's name, a
 * tab, and the parts of the result. The first line names the library under test. This program does not judge
 * the results: testing/differential.py compares the lines of two libraries.
 *
 * A case is named SITUATION/PROGRAM/NAME/OPTIONS, options/CLASS/SIZE or GROUP/QUESTION. Each
 * situation runs in a separate process that has not attached before, unless the situation's name
 * states otherwise.
 */
#include "answers.h"

static char line[1024];

void begin(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	strcat(line, "\t");
}

void part(const char *format, ...)
{
	size_t length = strlen(line);
	va_list list;
	if (line[length - 1] != '\t')
		length += (size_t)snprintf(line + length, sizeof(line) - length, ", ");
	va_start(list, format);
	vsnprintf(line + length, sizeof(line) - length, format, list);
	va_end(list);
}

void finish(void)
{
	puts(line);
	line[0] = 0;
}

const char *errno_name(int error)
{
	return error ? strerrorname_np(error) : "no errno";
}

const char *outcome(int result)
{
	static char text[32];
	if (result < 0)
		return errno_name(result == -1 ? errno : -result);
	snprintf(text, sizeof(text), "%d", result);
	return text;
}

void say_destroy(struct bpf_link *link)
{
	errno = 0;
	part("destroy %s", outcome(bpf_link__destroy(link)));
}

int main(void)
{
	libbpf_set_print(NULL);
	printf("library\t%s\n", file_of((void *)bpf_program__attach_ksyscall));
	load_programs();
	fflush(stdout);
	IN_A_PROCESS(ask_options());
	IN_A_PROCESS(ask_spellings());
	IN_A_PROCESS(ask_links());
	IN_A_PROCESS(ask_sections());
	ask_history();
	ask_situations();
	begin("end/links-left");
	part("%d", count_links());
	finish();
	return 0;
}

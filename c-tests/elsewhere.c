/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests a program with a statically linked libbpf whose functions libksyscall.so cannot find. The attach must
 * fail with a message, and must never read the BPF program with the functions of another loaded libbpf.
 */
#include "programs.h"

/* Points to bpf_program__attach_ksyscall(), which old versions of libbpf.h do not declare. */
static struct bpf_link *(*attach)(const struct bpf_program *, const char *, const void *opts);

/* Checks that the attach fails with the expected message. */
static void check_that_it_fails(void)
{
	struct programs p = LOAD(count);
	char text[512];
	CAPTURE_STDERR(text, CHECK_FAILS(attach(program(&p, "on_entry"), CALL, NULL), ELIBACC));
	CHECK_HAS(text, "cannot find the libbpf that created the program");
	CHECK_HAS(text, "libksyscall-static");
	CHECK(strchr(text, '\n') == text + strlen(text) - 1);
	unload(&p);
}

TEST(a_static_libbpf_is_not_found)
{
	CHECK(!dlsym(RTLD_DEFAULT, "bpf_program__fd"));
	check_that_it_fails();
}

TEST(a_loaded_libbpf_is_not_mistaken_for_the_static_one)
{
	static const int flags[] = { RTLD_LOCAL, RTLD_GLOBAL };
	for (int i = 0; i < 2; i++) {
		void *libbpf = dlopen("libbpf.so.1", RTLD_NOW | flags[i]);
		if (!libbpf)
			libbpf = dlopen("libbpf.so.0", RTLD_NOW | flags[i]);
		CHECK(libbpf);
		CHECK_EQ(dlsym(RTLD_DEFAULT, "bpf_program__fd") != NULL, flags[i] == RTLD_GLOBAL);
		check_that_it_fails();
		CHECK(dlclose(libbpf) == 0);
	}
}

int main(int argc, char **argv)
{
	void *library = dlopen("libksyscall.so.1", RTLD_NOW);
	if (library)
		*(void **)&attach = dlsym(library, "bpf_program__attach_ksyscall");
	return run_tests(argc, argv, (void *)attach);
}

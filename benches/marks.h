/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Numbers of no system call, by which a contestant tells `count` where it is. */
#ifndef MARKS_H
#define MARKS_H

enum mark { END = 100000, EMPTY, FIRST_ATTACH, ATTACH, DESTROY, MARKS };

#endif

//! Prints the arguments that this crate reads from a call whose words are generated from a seed.
//! testing/unit/test_ebpf.py compares them with the arguments that ksyscall.bpf.h reads.
//!
//! evaluate KERNEL native|compat|asked direct|registers|socketcall|ipc SEED GIVEN CALL... -- SUB_CALL...

use std::cell::RefCell;

use ksyscall_ebpf::{
    Aarch64, Arm, Call, Callers, Kernel, Layout, Loongarch64, Memory, Mips64, Multiplexer, Powerpc,
    Powerpc64, Riscv64, S390x, SubCall, X86, X86_64,
};

// Addresses in the simulated memory of the kernel and the caller. All of them fit into 32 bits. The
// memory contains the stack with the caller's registers, and the data that the caller's pointers
// point to.
const BASE: u64 = 0x1000_0000;
const STACK: u64 = BASE + 0x1000;
const REGISTERS: u64 = STACK + 0x100;
const POINTED: u64 = BASE + 0x8000;
/// Reduces any address to an offset in the caller's memory.
const USER_MASK: u64 = 0xfff8;
const SIZE: usize = 0x10000;
const CONTEXT_SIZE: usize = 1024;

thread_local! {
    static MEMORY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static CONTEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Made;

/// The context is real memory; everything else is in `MEMORY`.
fn read<const N: usize>(address: u64) -> [u8; N] {
    CONTEXT.with_borrow(|context| {
        let offset = address.wrapping_sub(context.as_ptr() as u64) as usize;
        if offset < CONTEXT_SIZE {
            return context[offset..][..N].try_into().unwrap();
        }
        MEMORY.with_borrow(|memory| memory[(address - BASE) as usize..][..N].try_into().unwrap())
    })
}

impl Memory for Made {
    fn kernel_u64(address: u64) -> u64 {
        u64::from_ne_bytes(read(address))
    }
    fn kernel_u32(address: u64) -> u32 {
        u32::from_ne_bytes(read(address))
    }
    fn user_u64(address: u64) -> u64 {
        u64::from_ne_bytes(read(BASE + (address & USER_MASK)))
    }
    fn user_u32(address: u64) -> u32 {
        u32::from_ne_bytes(read(BASE + (address & USER_MASK)))
    }
}

fn fill(seed: &mut u64, size: usize) -> Vec<u8> {
    let mut byte = || {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        (*seed >> 32) as u8
    };
    (0..size).map(|_| byte()).collect()
}

/// Offsets of the stack pointer, the kernel function's first argument, and the first word of the
/// caller's registers. The test passes these offsets, because the crate does not export them.
struct Given {
    word: usize,
    stack_pointer: Option<usize>,
    first: Option<usize>,
    /// The offset of the call's number in the registers, and its size in bytes.
    number: Option<usize>,
    number_size: usize,
    first_words: Vec<i64>,
}

fn put(memory: &mut [u8], place: usize, word: usize, value: u64) {
    memory[place..][..word].copy_from_slice(&value.to_ne_bytes()[..word]);
}

fn evaluate<K: Kernel>(
    callers: Callers,
    words: &str,
    mut seed: u64,
    given: &Given,
    [calls, sub_calls]: [&[String]; 2],
) {
    let is_version_1 = seed.to_string().as_bytes()[0] % 2;
    let (mut context, mut memory) = (fill(&mut seed, CONTEXT_SIZE), fill(&mut seed, SIZE));
    if let Some(place) = given.stack_pointer {
        put(&mut context, place, given.word, STACK);
    }
    let registers = (REGISTERS - BASE) as usize;
    // The first word is the number of a sub-call: connect for socketcall, msgrcv for ipc.
    let (number, first_word) = match words {
        "socketcall" => (Some(102), 3),
        "ipc" => (Some(117), u64::from(is_version_1) << 16 | 12),
        _ => (None, POINTED),
    };
    if words != "direct" {
        put(&mut context, given.first.unwrap(), given.word, REGISTERS);
        for place in &given.first_words {
            put(&mut memory, registers + *place as usize, given.word, first_word);
        }
        if let (Some(place), Some(number)) = (given.number, number) {
            put(&mut memory, registers + place, given.number_size, number);
        } else if number.is_some() {
            for place in &given.first_words {
                put(&mut memory, registers + *place as usize, given.word, POINTED);
            }
        }
    } else {
        match given.first_words[0] {
            // A location on the stack is passed as `-1 - offset`.
            place @ ..0 => {
                put(
                    &mut memory,
                    (STACK - BASE) as usize + (-place - 1) as usize,
                    given.word,
                    POINTED,
                );
            }
            place => put(&mut context, place as usize, given.word, POINTED),
        }
    }
    MEMORY.set(memory);
    CONTEXT.set(context);
    let context = CONTEXT.with_borrow(|context| context.as_ptr());
    // SAFETY: the context is at least as long as any kernel's context.
    let call = unsafe { Call::<K, Made>::new(context.cast(), callers) };
    println!("{} {}", u8::from(call.is_compat()), call.number().unwrap_or(-1));
    let of = |multiplexer| call.sub_call_number(multiplexer);
    println!("{} {}", of(Multiplexer::Socketcall), of(Multiplexer::Ipc));
    for name in calls {
        let layout = Layout::of::<K>(name);
        let arguments: Vec<_> =
            (1..=6).map(|n| format!("{:x}", call.argument(layout, n))).collect();
        println!("{name} {}", arguments.join(" "));
    }
    for name in sub_calls {
        let which = SubCall::of::<K>(name);
        let way = match call.sub_call(which) {
            None => 2,
            Some(made) => u8::from(made.is_multiplexed()),
        };
        let arguments: Vec<_> =
            (1..=6).map(|n| format!("{:x}", call.sub_call_argument(which, n))).collect();
        println!("{name} {way} {} {}", which.number(), arguments.join(" "));
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, kernel, callers, words, seed, given, calls @ ..] = &arguments[..] else {
        panic!("usage: evaluate KERNEL CALLERS WORDS SEED GIVEN CALL... -- SUB_CALL...");
    };
    let numbers: Vec<i64> = given.split(',').map(|number| number.parse().unwrap()).collect();
    let place = |number: i64| usize::try_from(number).ok();
    let given = Given {
        word: numbers[0] as usize,
        stack_pointer: place(numbers[1]),
        first: place(numbers[2]),
        number: place(numbers[3]),
        number_size: numbers[4] as usize,
        first_words: numbers[5..].to_vec(),
    };
    let end = calls.iter().position(|call| call == "--").expect("--");
    let calls = [&calls[..end], &calls[end + 1..]];
    let callers = match callers.as_str() {
        "native" => Callers::Native,
        "compat" => Callers::Compat,
        _ => Callers::Asked,
    };
    let evaluate = match kernel.as_str() {
        "X86_64" => evaluate::<X86_64>,
        "X86" => evaluate::<X86>,
        "Aarch64" => evaluate::<Aarch64>,
        "Arm" => evaluate::<Arm>,
        "Riscv64" => evaluate::<Riscv64>,
        "S390x" => evaluate::<S390x>,
        "Powerpc64" => evaluate::<Powerpc64>,
        "Powerpc" => evaluate::<Powerpc>,
        "Mips64" => evaluate::<Mips64>,
        "Loongarch64" => evaluate::<Loongarch64>,
        other => panic!("no kernel {other}"),
    };
    evaluate(callers, words, seed.parse().unwrap(), &given, calls);
}

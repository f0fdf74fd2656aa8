//! Some of lowbit.h. Enums are i32 there.
use std::ffi::c_char;

#[allow(non_camel_case_types)]
pub type lowbit_format = i32;
pub const LOWBIT_TERNARY: lowbit_format = 3;

extern "C" {
    pub fn lowbit_version() -> *const c_char;
    pub fn lowbit_packed_weight_size(format: lowbit_format, count: u64) -> u64;
}

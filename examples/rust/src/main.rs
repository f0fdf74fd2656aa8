use lowbit_sys::{lowbit_packed_weight_size, lowbit_version, LOWBIT_TERNARY};
use std::ffi::CStr;

fn main() {
    // SAFETY: both functions take any argument; the version is a string that is never freed.
    let version = unsafe { CStr::from_ptr(lowbit_version()) };
    let size = unsafe { lowbit_packed_weight_size(LOWBIT_TERNARY, 1000) };
    println!("{}", version.to_string_lossy());
    println!("1000 ternary weights take {size} bytes");
}

//! A device in a tenant's namespace, by ioctls: whoever gives it a name or an alias that is no
//! UTF-8 makes netlink's answers unreadable, and an answer that is not read never comes.

use std::io;

use dataplane_common::id::Mac;

use super::ifreq;

/// A device of the calling thread's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Its name: any bytes but zero, white space, `/` and `:`.
    pub name: Vec<u8>,
    /// Its MAC.
    pub mac: Mac,
}

impl End {
    /// The one with this index; `None` when there is none.
    pub fn find(ifindex: u32) -> io::Result<Option<Self>> {
        let mut request = ifreq::named("")?;
        request.ifr_ifru.ifru_ifindex = ifindex.cast_signed();
        // SAFETY: this request reads the index and writes the name, in the struct itself.
        match unsafe { ifreq::call(libc::SIOCGIFNAME, &mut request) } {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(None),
            done => done?,
        }
        let name = request.ifr_name.iter().map(|byte| byte.cast_unsigned());
        let name: Vec<u8> = name.take_while(|byte| *byte != 0).collect();
        let mut request = ifreq::named(&name)?;
        // SAFETY: this request reads the name and writes the address, in the struct itself.
        unsafe { ifreq::call(libc::SIOCGIFHWADDR, &mut request) }?;
        // SAFETY: the request was answered, by this member of the union.
        let address = unsafe { request.ifr_ifru.ifru_hwaddr }.sa_data;
        let mut mac = Mac::default();
        for (to, from) in mac.0.iter_mut().zip(address) {
            *to = from.cast_unsigned();
        }
        Ok(Some(Self { name, mac }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_found_by_its_index() {
        let found = End::find(1).expect("an answer").expect("it is everywhere");
        assert_eq!((&*found.name, found.mac), (&b"lo"[..], Mac([0; 6])));
        let nothing = End::find(i32::MAX.cast_unsigned());
        assert_eq!(nothing.expect("an answer"), None);
    }
}

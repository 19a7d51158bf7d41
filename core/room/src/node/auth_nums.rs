//! The numbers of the events that an event names as its auth events.

use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::ops::Deref;
use roomlet_wire::EventNum;

/// As many as messages and almost all member events have. An event with room for 7 is so much larger that small forks took a
/// third longer.
const IN_PLACE: usize = 5;

/// A list of numbers, within the event itself if it is as short as almost all are: a resolution reads thousands of them, and
/// each list elsewhere in memory would have to be waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthNums(Form);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Form {
    InPlace(ArrayVec<EventNum, IN_PLACE>),
    Elsewhere(Vec<EventNum>),
}

impl AuthNums {
    /// Adds a number at the end.
    pub fn push(&mut self, num: EventNum) {
        match &mut self.0 {
            Form::InPlace(nums) => {
                if nums.try_push(num).is_err() {
                    let mut all = nums.to_vec();
                    all.push(num);
                    self.0 = Form::Elsewhere(all);
                }
            }
            Form::Elsewhere(nums) => nums.push(num),
        }
    }
}

impl Default for AuthNums {
    fn default() -> Self {
        Self(Form::InPlace(ArrayVec::new_const()))
    }
}

impl FromIterator<EventNum> for AuthNums {
    fn from_iter<I: IntoIterator<Item = EventNum>>(nums: I) -> Self {
        let mut all = Self::default();
        nums.into_iter().for_each(|num| all.push(num));
        all
    }
}

impl From<Vec<EventNum>> for AuthNums {
    fn from(nums: Vec<EventNum>) -> Self {
        nums.into_iter().collect()
    }
}

impl Deref for AuthNums {
    type Target = [EventNum];
    fn deref(&self) -> &[EventNum] {
        match &self.0 {
            Form::InPlace(nums) => nums,
            Form::Elsewhere(nums) => nums,
        }
    }
}

impl<'a> IntoIterator for &'a AuthNums {
    type Item = &'a EventNum;
    type IntoIter = core::slice::Iter<'a, EventNum>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_what_was_put_in_however_long_it_is() {
        for count in 0..20 {
            let nums: Vec<EventNum> = (0..count).map(EventNum).collect();
            assert_eq!(*AuthNums::from(nums.clone()), *nums);
        }
    }
}

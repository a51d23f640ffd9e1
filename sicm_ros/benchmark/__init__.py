"""What bits buy: accuracy through the whole chain at a range of rates, ours and others'."""

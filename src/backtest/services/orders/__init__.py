"""What becomes of orders: plain functions over frozen orders, without money or prices met."""
